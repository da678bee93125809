"""The atlas: all posters of a workspace on one map, in clusters that have names, and small pictures of them all."""
