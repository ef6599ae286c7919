"""A teacher, a codec and a student for kd, as small as they can be: copy it, and change what is yours."""
