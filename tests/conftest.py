"""What holds for all tests."""

import hypothesis

# How long a machine takes to make examples, or to run one, says nothing about the code.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")
