from .classifier import Classifier as Classifier
from .decide import Decide as Decide
from .deployment_panel import DeploymentPanel as DeploymentPanel
from .device_comparison import DeviceComparison as DeviceComparison
from .hyperparameter_explorer import HyperparameterExplorer as HyperparameterExplorer
from .predict import Predict as Predict
from .training_dashboard import TrainingDashboard as TrainingDashboard
from .weights_inspector import WeightsInspector as WeightsInspector
