"""What is wrong with a dataset: files, twins, labels. Reads and reports; changes no file of the user's."""
