module katib-py/tests/cluster/tools/pause

go 1.21
