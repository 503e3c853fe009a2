"""Open Images V7: from class names to images with their URLs and licences."""
