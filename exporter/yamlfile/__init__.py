"""YAML files as values with locations; ``configuration`` and ``ruletests`` give them a meaning."""
