"""A hub in a folder of its own, apart from this project."""

from provision.own_folder.folder import create, is_own_folder, link_programs

__all__ = ["create", "is_own_folder", "link_programs"]
