// The control centre: map, lists, drawer and replay. The filters come last: once they are there, they tell all the
// others what is filtered.
import "../elements/city-map";
import "../elements/city-drawer";
import "../elements/live-list";
import "../elements/time-chart";
import "../elements/time-slider";
import "../elements/city-filters";
