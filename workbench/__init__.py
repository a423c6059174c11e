"""Workbench: train a network on one machine, run it on another, and measure what each costs.

    import workbench as wb

    data = wb.load_dataset("animals")
    hyperparameters = wb.HyperParameters(epochs=2)
    model = wb.build_model("convnet", classes=len(data.labels), shape=data.shape)
    for record in wb.train(model, data, hyperparameters):
        print(record)

Importing the package loads none of its parts: each name is fetched when it is first used.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# From 1.29 on, ONNX Runtime tells its maker about this machine and its networks, and keeps an identifier in the user's
# home, unless it is told not to before it is loaded (microsoft/onnxruntime#27379). Here nothing is sent unasked.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from workbench import plots as plots
    from workbench.all_devices import known_devices as known_devices
    from workbench.all_devices import told_errors as told_errors
    from workbench.animals import draw_animals as draw_animals
    from workbench.bundle import Bundle as Bundle
    from workbench.bundle import read_bundle as read_bundle
    from workbench.capacity import Fit as Fit
    from workbench.capacity import data_bytes as data_bytes
    from workbench.capacity import fits as fits
    from workbench.checkpoint import Weights as Weights
    from workbench.checkpoint import initial_weights as initial_weights
    from workbench.checkpoint import load_weights as load_weights
    from workbench.checkpoint import save_weights as save_weights
    from workbench.comparison import Comparison as Comparison
    from workbench.cost import Cost as Cost
    from workbench.cost import cost_of as cost_of
    from workbench.data import Data as Data
    from workbench.data import Split as Split
    from workbench.data import load_dataset as load_dataset
    from workbench.deployment import Deployment as Deployment
    from workbench.deployment import deploy as deploy
    from workbench.device_card import DeviceCard as DeviceCard
    from workbench.devices import Device as Device
    from workbench.devices import find_device as find_device
    from workbench.devices import list_devices as list_devices
    from workbench.environment import field_environment as field_environment
    from workbench.errors import WorkbenchError as WorkbenchError
    from workbench.evaluation import Evaluation as Evaluation
    from workbench.evaluation import evaluate as evaluate
    from workbench.evaluation import predict as predict
    from workbench.exercises.checking import check as check
    from workbench.exercises.checking import hint as hint
    from workbench.exercises.checking import progress as progress
    from workbench.exercises.student_report import student_report as student_report
    from workbench.export import export_bundle as export_bundle
    from workbench.footprint import Footprint as Footprint
    from workbench.footprint import installed_bytes as installed_bytes
    from workbench.footprint import measure_footprint as measure_footprint
    from workbench.hyperparameters import HyperParameters as HyperParameters
    from workbench.hyperparameters import recommended as recommended
    from workbench.inference import Predictor as Predictor
    from workbench.lessons import lesson_run as lesson_run
    from workbench.lessons import reveal as reveal
    from workbench.measurement import Latency as Latency
    from workbench.measurement import Measurement as Measurement
    from workbench.measurement import Reading as Reading
    from workbench.measurement import measure as measure
    from workbench.models import build_model as build_model
    from workbench.models import parameter_count as parameter_count
    from workbench.pictures import read_picture as read_picture
    from workbench.preprocessing import Preprocessing as Preprocessing
    from workbench.preprocessing import fit_picture as fit_picture
    from workbench.recorder import record_machine as record_machine
    from workbench.recordings import Recording as Recording
    from workbench.recordings import load_recordings as load_recordings
    from workbench.recordings import read_recording as read_recording
    from workbench.report import write_report as write_report
    from workbench.roofline import modelled as modelled
    from workbench.runs import Run as Run
    from workbench.search import search_hyperparameters as search_hyperparameters
    from workbench.sweeps import sweep as sweep
    from workbench.training import Record as Record
    from workbench.training import train as train
    from workbench.training_step import TrainingStep as TrainingStep
    from workbench.widgets.classifier import Classifier as Classifier
    from workbench.widgets.decide import Decide as Decide
    from workbench.widgets.deployment_panel import DeploymentPanel as DeploymentPanel
    from workbench.widgets.device_comparison import DeviceComparison as DeviceComparison
    from workbench.widgets.hyperparameter_explorer import HyperparameterExplorer as HyperparameterExplorer
    from workbench.widgets.predict import Predict as Predict
    from workbench.widgets.training_dashboard import TrainingDashboard as TrainingDashboard
    from workbench.widgets.weights_inspector import WeightsInspector as WeightsInspector
    from workbench.workflow import run_workflow as run_workflow

_HOMES = {
    "Bundle": "bundle",
    "Classifier": "widgets.classifier",
    "Comparison": "comparison",
    "Cost": "cost",
    "Data": "data",
    "Decide": "widgets.decide",
    "Deployment": "deployment",
    "DeploymentPanel": "widgets.deployment_panel",
    "Device": "devices",
    "DeviceCard": "device_card",
    "DeviceComparison": "widgets.device_comparison",
    "Evaluation": "evaluation",
    "Fit": "capacity",
    "Footprint": "footprint",
    "HyperParameters": "hyperparameters",
    "HyperparameterExplorer": "widgets.hyperparameter_explorer",
    "Latency": "measurement",
    "Measurement": "measurement",
    "Predict": "widgets.predict",
    "Predictor": "inference",
    "Preprocessing": "preprocessing",
    "Reading": "measurement",
    "Record": "training",
    "Recording": "recordings",
    "Run": "runs",
    "Split": "data",
    "TrainingDashboard": "widgets.training_dashboard",
    "TrainingStep": "training_step",
    "Weights": "checkpoint",
    "WeightsInspector": "widgets.weights_inspector",
    "WorkbenchError": "errors",
    "build_model": "models",
    "check": "exercises.checking",
    "cost_of": "cost",
    "data_bytes": "capacity",
    "deploy": "deployment",
    "draw_animals": "animals",
    "evaluate": "evaluation",
    "export_bundle": "export",
    "field_environment": "environment",
    "find_device": "devices",
    "fit_picture": "preprocessing",
    "fits": "capacity",
    "hint": "exercises.checking",
    "initial_weights": "checkpoint",
    "installed_bytes": "footprint",
    "known_devices": "all_devices",
    "lesson_run": "lessons",
    "list_devices": "devices",
    "load_dataset": "data",
    "load_recordings": "recordings",
    "load_weights": "checkpoint",
    "measure": "measurement",
    "measure_footprint": "footprint",
    "modelled": "roofline",
    "parameter_count": "models",
    "predict": "evaluation",
    "progress": "exercises.checking",
    "read_bundle": "bundle",
    "read_picture": "pictures",
    "read_recording": "recordings",
    "recommended": "hyperparameters",
    "record_machine": "recorder",
    "reveal": "lessons",
    "run_workflow": "workflow",
    "save_weights": "checkpoint",
    "search_hyperparameters": "search",
    "student_report": "exercises.student_report",
    "sweep": "sweeps",
    "told_errors": "all_devices",
    "train": "training",
    "write_report": "report",
}
_MODULES = ("plots",)

__all__ = sorted(["__version__", *_HOMES, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"workbench.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f"workbench.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
