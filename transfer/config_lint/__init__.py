"""Finding what is silently wrong in Detectron2, MMSegmentation and MMDetection configurations, without running them.

A file is read into a tree that knows where every value stands (:mod:`tree`; :mod:`yaml_reader`, :mod:`python_reader`),
the toolbox's keys are translated into a few common settings (:mod:`settings`), and one small function a rule looks at
those (:mod:`rules`). :mod:`lint` puts the parts together.
"""
