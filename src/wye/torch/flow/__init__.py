"""The modules that part a batch: each sample runs only what it needs."""

from . import idle as idle
from .branching import When as When
from .chain import Chain as Chain
from .chance import seed as seed
from .chance import tick as tick
from .exiting import EarlyExit as EarlyExit
from .looping import While as While
from .repeating import Repeat as Repeat
from .stage import Takes as Takes
from .switching import RandomChoice as RandomChoice
from .switching import Switch as Switch
