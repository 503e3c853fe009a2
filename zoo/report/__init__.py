"""Pictures and one offline page that say what a run is worth. Matplotlib comes in when something is drawn."""
