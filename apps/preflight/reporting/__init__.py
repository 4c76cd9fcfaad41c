"""What is said of what was found, and how: suppressions, baseline, formats, rule pages."""
