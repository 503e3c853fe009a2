"""Finds images of Open Images V7 by class name, with their URLs and licences."""
