"""The atlas: all posters of a workspace on one map, in named clusters, with sheets of small posters."""
