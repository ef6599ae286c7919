"""Students: small networks, and their training from a stream of what a teacher said. `kdcache` never imports from here.

recipe -> scene -> tellers -> feed -> objective -> train -> run -> tasks -> report
"""
