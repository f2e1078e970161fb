from .errors import FlowError as FlowError
from .errors import FormulaError as FormulaError
from .errors import InputError as InputError
from .errors import NonFiniteError as NonFiniteError
from .errors import PartError as PartError
from .errors import RangeError as RangeError
from .errors import ShapeError as ShapeError
from .errors import WyeError as WyeError
from .errors import WyeWarning as WyeWarning
from .evaluation import evaluate as evaluate
from .formula.formula import Formula as Formula
from .formula.schedule import Schedule as Schedule
from .torch.flow import Chain as Chain
from .torch.flow import Repeat as Repeat
from .torch.flow import Takes as Takes
from .torch.flow import When as When
from .torch.flow import While as While
from .torch.join import Join as Join
from .torch.join import frozen as frozen
from .torch.objective import Objective as Objective
from .watching.observe import Watch as Watch
from .watching.observe import watch as watch

__version__: str
