"""The layers that part a batch: each sample runs only what it needs."""

from .branching import When as When
from .chain import Chain as Chain
from .looping import While as While
from .repeating import Repeat as Repeat
from .switching import RandomChoice as RandomChoice
from .switching import Switch as Switch
