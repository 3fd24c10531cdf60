# cython: language_level=3
from portway.engine.connection cimport Connection
from portway.engine.base cimport Listener, Strand
from portway.engine.core cimport Engine


cdef object base_scope(Engine engine, Listener listener)
cdef dict make_scope(Engine engine, Connection c, Strand strand, const char* data, dict state)
