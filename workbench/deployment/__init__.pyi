from .application import Deployment as Deployment
from .application import deploy as deploy
from .environment import field_environment as field_environment
