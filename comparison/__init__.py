"""What compare_runs.py is made of: runs.py and edits.py read folders, pictures.py their pictures, page.py writes."""
