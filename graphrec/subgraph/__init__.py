"""The graph as a thing to look at, as of a time: views, paths, communities, centralities, walks, motifs, files."""
