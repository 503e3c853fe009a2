"""What is wrong with a data set: files, twins, labels. Reads and reports; changes no file of the user's."""
