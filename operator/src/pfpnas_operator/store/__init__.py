"""The artifact store of a cluster: a small server over one folder, its tokens, and the sweep of what nobody needs."""
