"""Downloads photos: Open Images by class, a list of URLs, or classes from the user's own copy of ImageNet.

addresses, connection    which hosts may be connected to, and how
transfer                 one URL to one complete file, with retries
download                 many files in parallel, stored as images in class folders
folder, names            the layout of the folder, without partial files after an interruption
openimages, url_list, imagenet    sources of the lists of images
"""
