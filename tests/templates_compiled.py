"""Compiles the templates of all pages. Imported by the process from which others are forked, to save them this time."""

from zoo.report.page import environment

for name in environment().list_templates(extensions=["jinja"]):
    environment().get_template(name)
