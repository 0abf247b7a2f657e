# For type checkers: what mia_tf/__init__.py imports when it is first used.
from mia_tf.analysis.dp_comparison import Comparison as Comparison
from mia_tf.analysis.dp_comparison import compare as compare
from mia_tf.analysis.one_run import epsilon_one_run as epsilon_one_run
from mia_tf.analysis.result import Audit as Audit
from mia_tf.analysis.result import load_audit as load_audit
from mia_tf.analysis.study import audit as audit
from mia_tf.keras_task import KerasTask as KerasTask
from mia_tf.privacy_config import PrivacyConfig as PrivacyConfig
from mia_tf.shadow.shadow_models import ShadowModels as ShadowModels
from mia_tf.task import Task as Task
from mia_tf.task_training import train_shadow_models as train_shadow_models
from mia_tf.validation import InputError as InputError

__version__: str
