# The C module below `signal`: the same functions and numbers, without the enums that make the import slow.
from signal import *
