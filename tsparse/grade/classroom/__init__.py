"""A class on Gradescope, GitHub or JupyterHub: `tsparse classroom` writes what these engines take."""
