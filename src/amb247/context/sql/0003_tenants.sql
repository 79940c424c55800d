-- Which tenants there are besides the city itself; each has a schema of its own (domain/tenants.py).
CREATE TABLE context_tenant (name text PRIMARY KEY, made_at timestamptz NOT NULL DEFAULT now());
