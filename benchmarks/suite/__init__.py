"""The suite for airspeed velocity (asv), which follows skbn alone from commit to commit."""
