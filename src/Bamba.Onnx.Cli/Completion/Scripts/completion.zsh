#compdef bamba-onnx
# zsh completion for bamba-onnx; the command itself knows what may come next.
_bamba_onnx() {
    local line=bamba-onnx word
    local -a proposals folders others
    for word in "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}"; do
        [[ $word == *[[:space:]]* ]] && word="\"$word\""
        line+=" $word"
    done
    proposals=("${(@f)$(${~words[1]} "[suggest:${#line}]" "$line" 2>/dev/null)}")
    folders=("${(@M)proposals:#*/}")
    others=("${(@)proposals:#(|*/)}")
    if [[ $PREFIX == '~/'* ]]; then
        # Quoted as a whole, the tilde would stand for itself.
        folders=("${(@)${(@q)folders}/#\\\~/~}")
        (( $#folders )) && compadd -Q -S '' -- "${folders[@]}"
    elif (( $#folders )); then
        compadd -S '' -- "${folders[@]}"
    fi
    (( $#others )) && compadd -- "${others[@]}"
    (( $#folders + $#others ))
}
if [[ $funcstack[1] == _bamba-onnx ]]; then
    # Found on fpath, where this file is the function.
    _bamba_onnx "$@"
else
    compdef _bamba_onnx bamba-onnx
fi
