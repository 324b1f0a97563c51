"""Experts of ALOHA's tasks: scripted waypoints for both hands, played back.

``script`` turns a task's waypoints into commands; each other module is one task's.
"""
