"""A broker on a real port, and others that it may ask."""

from __future__ import annotations

import pytest
from context.rest.conftest import broker, ngsi_server, open_database  # noqa: F401 - fixtures

from .others import other


@pytest.fixture
def source():
    with other() as served:
        yield served


@pytest.fixture(autouse=True)
def forget(request):
    """The tables were emptied behind the server's back."""
    yield
    if "ngsi_server" in request.fixturenames:
        request.getfixturevalue("ngsi_server").app.state.sources.forget_known()


@pytest.fixture
def second():
    with other() as served:
        yield served


def registration(endpoint, *, types=("Bus",), ids=(), names=(), mode="inclusive", **more):
    """A registration of entities of one type, or of these ids, with these attributes."""
    entities = [{"id": one, "type": types[0]} for one in ids] or [{"type": one} for one in types]
    information = {"entities": entities}
    if names:
        information["propertyNames"] = list(names)
    return {
        "type": "ContextSourceRegistration",
        "information": [information],
        "endpoint": endpoint,
        "mode": mode,
        **more,
    }


@pytest.fixture
def register(broker):  # noqa: F811
    """Make a registration; its id."""

    def made(endpoint, **more):
        response = broker.post("/csourceRegistrations", json=registration(endpoint, **more))
        assert response.status_code == 201, response.text
        return response.headers["location"].rpartition("/")[2]

    return made
