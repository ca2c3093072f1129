"""The suite for airspeed velocity (asv), which times skbn from commit to commit."""
