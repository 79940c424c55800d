// The explorer of the stored entities: copying, the query's form, and a map of what was found.
import "../elements/copy-text";
import "../elements/query-form";
import "../elements/place-map";
