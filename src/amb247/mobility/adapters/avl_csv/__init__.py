"""Tables of vehicle positions (AVL exports): columns mapped by name, refused rows named by line."""

from amb247.mobility.adapters.avl_csv.columns import Columns
from amb247.mobility.adapters.avl_csv.table import SpeedUnit, read_positions

__all__ = ["Columns", "SpeedUnit", "read_positions"]
