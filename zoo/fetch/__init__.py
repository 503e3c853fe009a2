"""Photos from elsewhere: Open Images by class, a list of addresses, the user's own copy of ImageNet.

addresses, connection    which hosts may be connected to, and how
transfer                 one address to one whole file, with patience
download                 many at once, kept as images in class folders
folder, names            what lies where, and that a killed run left nothing half done
openimages, url_list, imagenet    where the lists of images come from
"""
