"""The calibration study behind the constants of chapter 18: see `README.md`."""
