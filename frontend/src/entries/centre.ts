// The control centre: map, lists, drawer and replay.
import "../elements/city-map";
import "../elements/city-filters";
import "../elements/city-drawer";
import "../elements/live-list";
import "../elements/time-slider";
import "../elements/time-chart";
