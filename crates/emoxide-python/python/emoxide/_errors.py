"""What goes wrong. The texts are those of the command line: what, where and what to do next."""


class EmoxideError(Exception):
    """Everything that emoxide raises, but for arguments that cannot be (``TypeError``, ``ValueError``)."""


class ImageError(EmoxideError):
    """A picture that cannot be read."""


class ModelError(EmoxideError):
    """A checkpoint that cannot be used."""


class DeviceError(EmoxideError):
    """A device that is not there, or not in this build."""


class DataError(EmoxideError):
    """A data set that cannot be read, or does not fit the model."""


class TrainingError(EmoxideError):
    """A recipe that cannot be trained, or a run that went wrong."""


for _error in (EmoxideError, ImageError, ModelError, DeviceError, DataError, TrainingError):
    _error.__module__ = "emoxide"
