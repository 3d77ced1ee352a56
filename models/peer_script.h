/* The Python program of the race's other contestants, tools/peers.py as it is; made into a C string by
 * reports/embed.sh. */
#ifndef MODELS_PEER_SCRIPT_H
#define MODELS_PEER_SCRIPT_H

extern const char peers_py[];

#endif
