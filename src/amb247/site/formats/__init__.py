"""How numbers, dates and times are written, where Django's own formats of a language are not Colombia's."""
