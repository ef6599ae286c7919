"""Students of data2vec 2.0 teachers: the frozen encoder of the teacher and a few blocks of their own."""
