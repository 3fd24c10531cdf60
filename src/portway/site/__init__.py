"""The site: which path pattern is answered by an application, a folder, a redirect or a proxy.

Imported only where the configuration has routes.
"""
