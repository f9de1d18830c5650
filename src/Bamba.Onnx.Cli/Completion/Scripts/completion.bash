# bash completion for bamba-onnx; the command itself knows what may come next.
_bamba_onnx() {
    local line=bamba-onnx word i
    for ((i = 1; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((i == COMP_CWORD)); then
            # Up to the cursor.
            word=$2
        elif [[ $word == = ]]; then
            # bash breaks words at "="; an option and its value read the same without.
            continue
        fi
        word=${word//[\"\'\\]/}
        [[ $word == *[[:space:]]* ]] && word="\"$word\""
        line+=" $word"
    done
    mapfile -t COMPREPLY < <("${1/#\~\//$HOME/}" "[suggest:${#line}]" "$line" 2>/dev/null)
    if [[ ${COMPREPLY[0]-} == */ ]]; then
        # Folders: bash quotes them, adds the slash again and leaves the word open.
        COMPREPLY=("${COMPREPLY[@]%/}")
        compopt -o filenames 2>/dev/null
    fi
}
complete -F _bamba_onnx bamba-onnx
