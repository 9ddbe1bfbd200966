"""The functions' packages: zips of this project, of what it needs, and of the rules."""

from tidemill_deploy.packaging.archive import Package, code_keys
from tidemill_deploy.packaging.packages import code_here, package
from tidemill_deploy.packaging.wheels import Target

__all__ = ["Package", "Target", "code_here", "code_keys", "package"]
