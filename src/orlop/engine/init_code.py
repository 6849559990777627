"""The program of `orlop.engine.init_program`, compiled from scripts/init.c by scripts/build-init: do not edit."""

from __future__ import annotations

#: Architecture → an ELF file, compressed by zlib, in base 85.
PROGRAMS = {
    "x86_64": (
        "c-pO0|7%lM6u&QhiNVGu8C5#;hbIekFlfja%+^+Np^+1LqGIa6=^#zB8K}uf?!$`Oq{{-{hW9^+zxkU#Nh-E^X@^=FQ!?0u!Ps=e"
        "x~H8?rk1UJJNLb`eiwh(h1~Pbxu0{+=YGz6DaO>DE=eM*%SCn&;hiT@+mE*5zsPG4jBP_)l*pvb#=331vsUv~?K`c!Rjagc`+jF5"
        "9`g1p(6YeqK>4=^3kR_=JplYKIz$sgz?b(&eu9a60;g8H>7=~nYlCg=4{KeqNHZ2OYTGec#bmzdci+7uDp_;pkHBxJRqyV~JbRy("
        "diQEuXz92_wT)<839SQ78))m$$OFs=Wy5RUpi?C|O5){)I~KW*bm)vI9lv6%Se6x;r;`$P?&|MjoiMRvts|u9IW7CZYQ(LE`72<n"
        "eW1(jFtF^$v)E<X7mgSpEz!x3<mhQ8Nnjb!J9p|&hq%fg*qr0sfbx@vtONHId%wrLW+$B%6F}~Sd9lIW6G)=A0Ykeh_ciw*Hy+=F"
        "iEo4~pB|=%=wbTV9PpJ$v(&$dFgIAU=HD%WM4h?|H@|z1enKyL@e$+nfKZrT5+_5`9k}lYz5x6mRQrt3wE8j1s_LVmF3?#h09OV>"
        "0VH9m{13ldly26xiPAxPdOwJpG@xSmD|HOij@o0nuJZ3xe$DT$b=w4H0trI+U`PQy5mIUaJLpit=As{8wDC~hF3~B$Z9KS3XAc9Q"
        "p9n16UbZaC8}$!xPzxK7i-6S?^u}eVB47z;MaxSr=E1#F3)Vjr$lDmL7qOP<ukR6orU;A+eW%15V_(J|$yNIz=Hl2^RX-V0=uAm4"
        "(+`Dw(*xpVD1U1?gE70E)cUDc=7SzJagx%p_tx}|G{wZRYCz>HctL&{0YSFe{2nTg#%~HacQ~41f%$lEgKc)II>G?|*%lrZF5WWF"
        "RR=>pK3l$3WbOJ_Hp$cz)8oJJFQly3UFx~-E}K)n%;&zyCy$a$HpBW9(x+goprwu|pJztXN-nRAWb)}0%jJ)+$HP=Io6Rw0IIX0|"
        "(kYFlN7ldTyWUF^Fc8)X`S55il^hKhhBMi|XZ$ty>4E*=xVRD0Q#ev!d6pa|JuE%ONKZaDl4MEpzpQrri9vc^`hRm)s_l8a^g@2H"
        "6?3(G@e(@L@z1`1SIEot+FrqHww3=bd2|2&0G@)K;{"
    ),
    "aarch64": (
        "c-o~@U1(cn7=F)B+N_OT`ZJ9b%$e(jNNF$JAeKo_W+wv`YB?9Wn=VaK6R3^(DRj-mFI`n^z38a}MQGRJyl6#O(K_}6O%Y|FyYM)?"
        "@+VChR>euMD5;Cb=Q}z5ivtBe`0~B)^FHtUy+0@4%g3L3LKFnrS|VK{u3aS6(p4M3?%1XP^MR+5gJg^Au=wS*<+pWi$h7Bl+Pr6O"
        "r9xHo-<R7ya}wz<5uIC?Xdx#F3#*d2ke8%|HA!BOi5bY}W>)I`+9i$}X0Y}1AHe$&yeimAX__y=zn0YEsc65CIp|1E+6O<iC|A=G"
        "Qk)!XY1Ch7BK@bwNq50VAvX1kgZ1#(bEH1nxlZvGk2*3}O<KrFAFYr)(YeuCa5+hPI@;nJlS%Iq<Ou>l5IyC~L=+#|q<>HJ^SEhh"
        "Yq&2jRU_{jE8p2>X528%x4egGG3y}B>!d~5qg_F6+IfKra{}v8n%K!2q9*S(if07c6{B`L#x=x1Z=Nir)p@)23Eqd#aQCOCd0&R-"
        "t_txv_-ACuvJm%k*$KH@h_4c47i2|<XSnQ!yg~8VKTM4j(k~&#`8(di0BnA{&iAmd0&lf@li4&6b8HD%9(|X9tC65@mgor2(~nI~"
        "X6Ud7!7Jjt1zst=Y|Uj=a#;0nKM^}y%Zyi1*Cu$S^wRuoaAg5=1h)z^LyxD{-X%SMmUJFF*GR>jn;EC!vpdc~kr@m<N&;uroOf&j"
        "&#{pi0~J0TX9t+k4}9$t(z#6>9k=k@BXoIIVn#1)dEC!)lI;5U{m%i<3Tn|SQ{je4+KQ9(te^CidxVLTu%YIM@hMNz(FXnFUEB{a"
        "kL*6RxCm_7N%0FFZ6pB9;y&A;zt3m9pBW$GJWj0VSM<fQxf}G~w&X7w^f?|Ayx;BqdWj0-$YT~*0oXFWMf~NpRj+#aK@TNV66+5h"
        "J@FNtQQyS({?0m|U$R{Dp>i*#m;#x9r-<eH%hdAd$?Dmi+Ld}{H1mG&`?{z=;2`rad%>sc{>|5+@1C!MKJ5qpHtrgXDK92s&nE&e"
        "P;@Yw>QJad0hSyJMwI^OKv;<-lu$Gg4yIy>(={*#1A~LHl+qVg!o%U<P%0d%p>Dr+;<5IjWTJf_77PruC;Os<9lP{xb;n={Wfebr"
        "-x*<~hveZ0gl3o5!aUe-{ArqsZRckz_S?W1e*}-!O)6c}qw-8fPS<?<T^;#rxnDPb`|g<LL$+TNc8I@&B^x_d=bjd41RnnkzX$j?"
        "Jf6SqqA-2$%mL16OGc8ZL@LlnZK?2ZirNyfP#_hcws54kA8iZM|6aAcX6&keyyN9{Q`*ayEBxzif6>;*WYs>)`fC+@p+djE!r$#s"
        "?X#?(tKd8D5>L8IT^DTsL;rIB-$lFlLj"
    ),
}
