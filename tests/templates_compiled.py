"""Compiles the templates of all pages. The process that others are forked from imports this, so that they need not."""

from zoo.report.page import environment

for name in environment().list_templates(extensions=["jinja"]):
    environment().get_template(name)
