"""Set-up, bundling, checks and tests of the project: `python3 build_scripts COMMAND`."""
