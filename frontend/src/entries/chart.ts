// Pages with charts and no map.
import "../elements/time-chart";
