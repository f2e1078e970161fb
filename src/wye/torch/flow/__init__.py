"""The modules that part a batch: each sample runs only what it needs."""

from .branching import When as When
from .chain import Chain as Chain
from .looping import Repeat as Repeat
from .looping import While as While
from .stage import Takes as Takes
